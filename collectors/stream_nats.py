"""A stream of NATS JetStream, by a durable consumer of ours."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from watchkeeper.clock import to_ms
from watchkeeper.errors import CollectError

from .stream import Event, Place, Read, payload

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.js import JetStreamContext
    from nats.js.api import ConsumerInfo

#: Messages asked for at a time: each may have a megabyte.
AT_ONCE = 200
#: Seconds that the server has to say that it took an acknowledgement.
ACKNOWLEDGED = 2.0
#: Seconds until the server gives again what was not acknowledged; a later life does not wait for that.
ACK_WAIT = 3600.0


class NatsStream:
    """Messages are acknowledged with the next reading. What the server gave and we did not keep is asked for anew.

    The server would give that again only later and out of order, so the consumer is made anew behind the last message.
    """

    def __init__(self) -> None:
        self._last = 0  #: number in the stream of the newest message that was handed on
        self._replies: list[str] = []  #: where the messages of the last reading are acknowledged

    def position(self) -> dict[str, Any]:
        return {"last": self._last}

    def restore(self, position: Mapping[str, Any]) -> None:
        self._last = int(position["last"])

    async def close(self) -> None:
        """Nothing stays open."""

    async def read(self, place: Place) -> Read:
        async with _connected(place) as client:
            stream = client.jetstream(timeout=place.timeout)
            await self._acknowledge(client, place)
            info = await self._consumer(stream, place)
            found, replies, last = Read(), list[str](), self._last
            subscription = await stream.pull_subscribe_bind(consumer=place.group, stream=place.stream)
            while (left := min(info.num_pending or 0, place.batch - len(found.events))) > 0:
                messages = await subscription.fetch(min(left, AT_ONCE), timeout=place.timeout)
                last = _take(messages, last, found)
                replies += [message.reply for message in messages]
                info = await stream.consumer_info(place.stream, place.group)
                if found.size >= place.max_bytes:
                    break
            found.lag = info.num_pending
            self._last, self._replies = last, replies
            return found

    async def _acknowledge(self, client: Client, place: Place) -> None:
        """The last answer is waited for a moment: then the others have arrived too.

        A server that has only just started may not answer; the consumer is then made anew behind the last message.
        """
        from nats.errors import NoRespondersError
        from nats.errors import TimeoutError as Slow

        for reply in self._replies[:-1]:
            await client.publish(reply, b"+ACK")
        for reply in self._replies[-1:]:
            with suppress(Slow, NoRespondersError):
                await client.request(reply, b"+ACK", timeout=min(ACKNOWLEDGED, place.timeout / 4))
        self._replies = []

    async def _consumer(self, stream: JetStreamContext, place: Place) -> ConsumerInfo:
        """Ours, standing behind the last message that was handed on."""
        from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
        from nats.js.errors import NotFoundError

        info: ConsumerInfo | None = None
        with suppress(NotFoundError):
            info = await stream.consumer_info(place.stream, place.group)
        if info is not None and not self._last:  # a life whose position is lost goes on where one acknowledged
            self._last = info.ack_floor.stream_seq if info.ack_floor else 0
        given = info.delivered.stream_seq if info is not None and info.delivered else 0
        if info is not None and given <= self._last and not info.num_ack_pending:
            return info
        if info is not None:
            await stream.delete_consumer(place.stream, place.group)
        config = ConsumerConfig(
            durable_name=place.group,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT,
            max_ack_pending=2 * place.batch,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE if self._last else DeliverPolicy.ALL,
            opt_start_seq=self._last + 1 if self._last else None,
        )
        made: ConsumerInfo = await stream.add_consumer(place.stream, config)
        return made


def _take(messages: Sequence[Msg], last: int, found: Read) -> int:
    """Add what is new; the number of the newest."""
    for message in messages:
        about = message.metadata
        found.size += len(message.data)
        if about.sequence.stream <= last:
            found.repeated += 1
            continue
        last = about.sequence.stream
        fields, text = payload(message.data)
        found.events.append(Event(to_ms(about.timestamp), fields, text))
    return last


@asynccontextmanager
async def _connected(place: Place) -> AsyncIterator[Client]:
    """A connection for one reading. Raises CollectError for whatever goes wrong with it or inside."""
    import nats
    from nats.errors import Error
    from nats.errors import TimeoutError as Slow
    from nats.js.errors import NotFoundError

    client = None
    told: list[Exception] = []

    async def hear(error: Exception) -> None:
        told.append(error)

    try:
        client = await nats.connect(
            f"nats://{place.host}:{place.port}" if ":" not in place.host else f"nats://[{place.host}]:{place.port}",
            name="watchkeeper",
            user=place.username or None,
            password=place.password or None,
            tls=place.tls,
            allow_reconnect=False,
            max_reconnect_attempts=1,  # else it would look for the server until the time is over
            reconnect_time_wait=0,
            connect_timeout=place.timeout,
            error_cb=hear,
            inbox_prefix="_INBOX",
        )
        yield client
    except (Slow, TimeoutError):
        raise CollectError(f"no answer within {place.timeout:g} s", reason="timeout") from None
    except NotFoundError:
        raise CollectError(f"there is no stream {place.stream!r}", reason="query") from None
    except ssl.SSLError as error:
        raise CollectError(f"TLS: {error.reason or error}", reason="tls") from None
    except Error as error:
        raise _refused(told[0] if told else error) from None
    except OSError as error:
        raise CollectError(f"no connection: {error.strerror or error}", reason="connect") from None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise CollectError("what answers does not speak NATS's protocol", reason="protocol") from None
    finally:
        if client is not None:
            with suppress(Exception):  # a peer that does not say goodbye is left alone
                await client.close()


def _refused(error: Exception) -> CollectError:
    """What NATS's client says about a connection, by our reasons."""
    said = str(error)[:200]
    if isinstance(error, ssl.SSLError):
        return CollectError(f"TLS: {error.reason or said}", reason="tls")
    if isinstance(error, OSError):
        return CollectError(f"no connection: {error.strerror or said}", reason="connect")
    if "authorization" in said.lower():
        return CollectError("NATS refused who asks: see username and password", reason="token")
    return CollectError(f"NATS refused: {said}", reason="protocol")

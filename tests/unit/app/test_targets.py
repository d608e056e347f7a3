"""Options of action targets: checked with file, line, key and remedy before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from collectors import BUILTIN as COLLECTORS
from notifiers import BUILTIN as NOTIFIERS
from remediation.actions import BUILTIN as ACTIONS
from watchkeeper.app.compose import check
from watchkeeper.app.targets import remediation_settings
from watchkeeper.config import load
from watchkeeper.config.load import FILES
from watchkeeper.errors import ConfigError

GOOD = """\
remediation:
  targets:
    - name: web
      kind: haproxy
      socket: /run/haproxy/admin.sock
      backend: shop
      test_target: trial
    - {name: trial, kind: haproxy, socket: /run/haproxy/admin.sock, backend: trial}
"""


def refusal(tmp_path: Path, text: str) -> str:
    (tmp_path / "w.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        check(tmp_path / "w.yaml")
    return str(caught.value).removeprefix(f"{tmp_path / 'w.yaml'}:")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("socket: /run/haproxy/admin.sock\n", "sockt: /run\n",
         "5: remediation.targets[0].sockt: unknown key; did you mean 'socket'?"),
        ("      backend: shop\n", "", "3: remediation.targets[0].backend: is missing; add it"),
        ("backend: shop", "backend: 'a b'", "6: remediation.targets[0].backend: not a name HAProxy allows"),
        ("backend: trial}", "backend: trial, floor: none}",
         "8: remediation.targets[1].floor: input should be a valid number, unable to parse string as a number"),
        ("kind: haproxy\n", "kind: haprox\n", "4: remediation.targets[0].kind: unknown kind 'haprox'; known kinds"),
        ("test_target: trial", "test_target: web", "7: remediation.targets[0].test_target: 'web' is not another"),
        ("{name: trial,", "{name: web,", "2: remediation.targets: two targets share the name 'web'"),
        ("name: web\n", "named: web\n", "3: remediation.targets[0]: a target needs a name and a kind"),
    ],
)  # fmt: skip
def test_a_wrong_option_of_a_target_is_refused_before_the_engine_starts(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert old in GOOD
    assert refusal(tmp_path, GOOD.replace(old, new)).startswith(said)


def test_good_targets_pass_and_are_counted(tmp_path: Path) -> None:
    (tmp_path / "w.yaml").write_text(GOOD)
    assert "targets: 2" in check(tmp_path / "w.yaml")


def test_options_that_name_a_file_stay_files_and_start_from_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "token.txt").write_text("s3cret\n")
    (tmp_path / "w.yaml").write_text(
        "collect: {sources: [{kind: redis, name: r, address: '127.0.0.1:6379', ca_file: ca.pem}]}\n"
        "remediation:\n  kill_switch_file: stop\n  targets:\n"
        "    - {name: w, kind: nginx, include: /x, upstream: u, servers: {a: 'h:1'}, pid_file: /run/n.pid}\n"
        "    - {name: k, kind: kubernetes, resource: deployments, namespace: n, object: o, floor: 1, ceiling: 2,\n"
        "       server: 'https://k', token_file: token.txt, ca_file: ca.pem}\n"
    )
    loaded = load(tmp_path / "w.yaml")
    nginx, kube = remediation_settings(loaded).targets
    assert loaded.config.collect.sources[0].options["ca_file"] == str(tmp_path / "ca.pem")
    assert loaded.config.remediation["kill_switch_file"] == "stop"
    assert nginx["pid_file"] == "/run/n.pid"
    assert (kube["token"], kube["ca_file"]) == ("s3cret", str(tmp_path / "ca.pem"))
    assert check(tmp_path / "w.yaml")


def test_every_option_that_is_itself_a_file_can_be_written_in_the_configuration() -> None:
    """Else the loader would read the file into an option of another name, which nobody knows."""
    rooms = {
        "catalogue": list(COLLECTORS.values()),
        "collect": list(COLLECTORS.values()),
        "notify": list(NOTIFIERS.values()),
        "remediation": [kind.options for kind in ACTIONS.values()],
    }
    for section, kinds in rooms.items():
        for kind in kinds:
            known = set(getattr(kind, "__dataclass_fields__", None) or kind.model_fields)
            files = {name for name in known if name.endswith("_file") and name.removesuffix("_file") not in known}
            assert files <= FILES[section], kind
            read = {name for name in FILES[section] if name.removesuffix("_file") in known and name not in known}
            assert not read, f"{kind} wants the text of a file whose name is left alone"

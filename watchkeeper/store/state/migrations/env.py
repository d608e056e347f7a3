"""Run by Alembic: the steps go through the connection and the transaction of ``migrate``."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()

from support.states import empty, migrated, postgres, state

__all__ = ["empty", "migrated", "postgres", "state"]

"""What a process has to say beside the access log: JSON lines as well, so that standard error is one stream of them."""

import logging

import orjson


class JsonLines(logging.Formatter):
    """One line for each record, whatever is in it."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON; ``time`` in milliseconds, as in the access log."""
        line = {
            "time": int(record.created * 1000),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(line).decode()


def log_as_json() -> None:
    """Let every logger of this process write to standard error, from warnings upwards."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)

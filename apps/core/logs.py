"""What stands in the log."""

import logging


class OneLine(logging.Filter):
    """Without a traceback, for what is the sender's fault."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.exc_info = record.exc_text = None
        return True

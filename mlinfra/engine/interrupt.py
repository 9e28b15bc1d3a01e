"""`Interrupt`: what Ctrl-C means to a run."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass(slots=True)
class Interrupt:
    """``stop`` is set at the first Ctrl-C (nothing new starts, what runs is finished and recorded), ``cancel`` at the second
    (waits end)."""

    stop: threading.Event = field(default_factory=threading.Event)
    cancel: threading.Event = field(default_factory=threading.Event)

    def press(self) -> None:
        """One Ctrl-C."""
        if self.stop.is_set():
            self.cancel.set()
        self.stop.set()

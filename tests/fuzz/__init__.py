"""Whatever a file or a text holds, each reader gives something or one sentence, never another exception."""

"""Choice: where to steer and how strongly, found on prompts that neither made the direction nor measure its effect."""

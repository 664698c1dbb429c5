"""What the workbench, the queue and the transfers can bear, measured."""

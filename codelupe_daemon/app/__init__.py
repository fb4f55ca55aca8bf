"""The composition root: settings become objects, objects become running tasks."""

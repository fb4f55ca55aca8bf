"""What people and their tools see of the trainer."""

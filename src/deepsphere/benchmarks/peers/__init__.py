"""What others offer for the same work, each as one would use it."""

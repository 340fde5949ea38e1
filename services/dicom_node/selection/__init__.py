"""Which of the received series are assessed: rules by their headers."""

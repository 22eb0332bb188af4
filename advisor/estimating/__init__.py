"""What a model takes to train and to use: memory, compute and time, each with its interval, without the device."""

"""Order and retry: the Step Functions chains and their generated ASL."""

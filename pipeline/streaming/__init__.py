"""The pipeline on Kafka: the worker, its topics, and the commands that talk to a broker."""

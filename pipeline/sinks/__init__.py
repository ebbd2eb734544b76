"""Where alerts are told to people: a webhook, an Alertmanager, e-mail. Nothing here knows Kafka."""

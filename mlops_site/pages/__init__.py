"""What joins several apps for a person: navigation, home, a model's page."""

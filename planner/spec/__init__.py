"""What is planned with, as pure frozen values: models, machines and prices, scenarios and programmes."""

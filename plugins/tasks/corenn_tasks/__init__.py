"""The tasks that ship with corenn: what ``corenn run`` runs."""

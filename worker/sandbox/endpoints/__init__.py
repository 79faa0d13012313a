"""The operations of the API, as they are asked for and answered."""

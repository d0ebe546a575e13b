"""What a run costs beside the endpoint: a simulated endpoint, bare loops, the product, one table."""

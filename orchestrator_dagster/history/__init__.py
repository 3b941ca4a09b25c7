"""What recorded runs came to, over time: success, times, tokens and costs, by pipeline, step and model."""

"""What a pipeline is meant to do, how it is built, whether both agree, and how good its products are."""

"""Pictures of pipelines: what is drawn, where it stands, and how it is written as Mermaid or SVG."""

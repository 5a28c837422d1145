"""The page: Gradio tabs over the studio's jobs, and Gradio's named endpoints."""

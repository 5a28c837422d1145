"""The workshops: image and speech engines. They know nothing of HTTP, Gradio, settings or stores."""

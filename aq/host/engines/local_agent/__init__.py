"""The `local` engine's child process: a small agent over OpenAI chat completions, for Ollama, llama.cpp
and vLLM. It runs beside aq, never inside it."""

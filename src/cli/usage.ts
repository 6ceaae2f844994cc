export const usage = `llm-router: one HTTP address in front of your model servers

Usage: llm-router [command] [options]

Commands
  serve               start the router (what it does without a command)
  check [file]        every fault of models-config.json and of the settings, with line and column
  discover [host...]  find Ollama, LM Studio and vLLM, and write a models-config.json to stdout;
                      a host may have a port; this machine when none is named
  init [file] [host...]
                      the same into a new file (models-config.json)
  models [file]       the models that would be served
  healthcheck [url]   exit code 0 when the router answers
  schema              the JSON Schema of models-config.json
  version             the version

Options
  -c, --config <file>       LLM_ROUTER_MODELS_CONFIG
  -p, --port <number>       LLM_ROUTER_SERVER_PORT
      --host <address>      LLM_ROUTER_SERVER_HOST
      --log-level <level>   LLM_ROUTER_LOG_LEVEL
      --log-format <format> LLM_ROUTER_LOG_FORMAT (auto, json, pretty)
  -h, --help                this text
  -V, --version             the version

All other settings are environment variables: see README.md.
Exit codes: 0 good, 1 failed, 2 a fault in the configuration or the arguments.
`

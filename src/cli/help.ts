/** Usage and description of one command. */
interface CommandHelp {
  /** Forms of the command, without the program. */
  readonly forms: readonly string[]
  /** One sentence, without capital letter and full stop. */
  readonly purpose: string
  /** Additional text of the command's own help. */
  readonly more?: string
}

/** In the order in which the help lists them. */
const commandHelp: Readonly<Record<string, CommandHelp>> = {
  serve: { forms: ['serve'], purpose: 'start the router (the default command)' },
  check: {
    forms: ['check [file]'],
    purpose: 'report every error of models-config.json and of the settings',
    more: `Without a file, the one of --config or LLM_ROUTER_MODELS_CONFIG is checked. Nothing is started and no port is
opened. Exit code 0: the router would start; 2: it would not. Warnings are most likely mistakes.`,
  },
  discover: {
    forms: ['discover [host...]'],
    purpose: 'find model servers and write a models-config.json to stdout',
    more: `A host may have a port, such as gpu1:8000; without one, the usual ports of each server are tried. Without a host,
this machine is searched. Servers that were found, and hosts without one, are reported on stderr.`,
  },
  init: {
    forms: ['init [file] [host...]'],
    purpose: 'write the result of discover to a new file, models-config.json by default',
    more: `The file must not exist. If no server is found, it contains the embedded model "demo".`,
  },
  models: {
    forms: ['models [file] [--profiles]'],
    purpose: 'list the models that would be served',
    more: '--profiles also lists the model profile of each server, to which requests are adapted.',
  },
  targets: {
    forms: [
      'targets [list]',
      'targets drain ID [--force]',
      'targets resume ID',
      'targets reset ID',
      'targets weight MODEL ID WEIGHT|configured',
    ],
    purpose: 'list and control the targets of a running router',
    more: `The router is the one at --url ADDRESS or, by default, the one that these settings would start. LLM_ROUTER_ADMIN_KEY is
its operator key. --force drains even the last usable target of a model.`,
  },
  index: {
    forms: ['index DIR --name NAME [--model MODEL] [--url ADDRESS] [--force]'],
    purpose: 'index the documents in a directory for retrieval',
    more: `Reads text, Markdown and HTML files, recursively. MODEL is an embedding model of a running router: the one at
--url or, by default, the one that these settings would start. LLM_ROUTER_INDEX_KEY is a client key for it. The index is
written to LLM_ROUTER_INDEX_DIR; running routers use it without a restart. If there are PDF or office files, they are
listed and nothing is indexed; with --force, the other files are indexed.`,
  },
  auto: {
    forms: ['auto eval FILE [--url ADDRESS]'],
    purpose: 'evaluate the automatic model choice of a running router',
    more: `FILE has one JSON object per line: {"text": "...", "model": "..."}, with the model that should be chosen; instead of
"text" it may have "messages" and other fields of a chat request. Prints how often each model was chosen instead of the
expected one. The router is the one at --url or, by default, the one that these settings would start.
LLM_ROUTER_ADMIN_KEY is its operator key.`,
  },
  clients: {
    forms: recordForms('clients'),
    purpose: 'list and change the clients in the database',
    more: 'Uses the database of LLM_ROUTER_DATABASE_URL. docs/teams.md lists the fields.',
  },
  groups: { forms: recordForms('groups'), purpose: 'list and change groups of clients' },
  prices: { forms: recordForms('prices'), purpose: 'list and change prices' },
  budgets: { forms: recordForms('budgets'), purpose: 'list and change budgets' },
  keys: {
    forms: [
      'keys [list] [CLIENT]',
      'keys create CLIENT [field=value...] [--role viewer|operator|admin]',
      'keys rotate ID',
      'keys revoke ID',
    ],
    purpose: 'list, create, rotate and revoke keys of clients',
    more: '"keys create ID --role admin" creates the first administrator. A key is shown only once, when it is created.',
  },
  import: {
    forms: ['import keys FILE', 'import litellm FILE...'],
    purpose: 'import keys from a keys file or from LiteLLM into the database',
    more: `"import litellm config.yaml" converts LiteLLM's configuration: it writes a models-config.json to stdout and
settings without a counterpart to stderr. Exports of LiteLLM's API (keys, teams) are imported into the database.`,
  },
  audit: { forms: ['audit'], purpose: 'print the audit log of the database' },
  usage: {
    forms: ['usage [field=value...]'],
    purpose: 'print usage from the database',
    more: 'Fields: from, to, by=client,group,key,model,target, bucket, client, group, model, format=csv.',
  },
  healthcheck: { forms: ['healthcheck [url]'], purpose: 'exit with code 0 if the router responds' },
  schema: { forms: ['schema'], purpose: 'print the JSON Schema of models-config.json' },
  version: { forms: ['version'], purpose: 'print the versions of the router and of Node.js' },
}

const optionsText = `Options
  -c, --config <file>       LLM_ROUTER_MODELS_CONFIG
  -p, --port <number>       LLM_ROUTER_SERVER_PORT
      --host <address>      LLM_ROUTER_SERVER_HOST
      --log-level <level>   LLM_ROUTER_LOG_LEVEL
      --log-format <format> LLM_ROUTER_LOG_FORMAT (auto, json, pretty)
  -h, --help                print this help, or that of a command
  -v, --version             print the version
`

/** Returns the help of the program. */
export function usage(program: string): string {
  const commands = Object.entries(commandHelp).map(([name, { purpose }]) => `  ${name.padEnd(12)} ${purpose}`)
  return `llm-router: one HTTP address in front of your model servers

Usage: ${program} [command] [options]

Commands
${commands.join('\n')}

${optionsText}
Help of a command: ${program} check --help
All other settings are environment variables: docs/configuration.md.
Exit codes: 0 success, 1 failure, 2 invalid configuration or arguments.
`
}

/** Returns the help of one command; undefined if it is unknown. */
export function usageOf(name: string, program: string): string | undefined {
  const help = Object.hasOwn(commandHelp, name) ? commandHelp[name] : undefined
  if (!help) return undefined
  const { forms, purpose, more } = help
  const lines = forms.map((form, index) => `${index === 0 ? 'Usage:' : '      '} ${program} ${form}`)
  const text = `${lines.join('\n')}\n\n${purpose[0]?.toUpperCase()}${purpose.slice(1)}.\n`
  return `${text}${more === undefined ? '' : `\n${more}\n`}${name === 'serve' ? `\n${optionsText}` : ''}`
}

function recordForms(name: string): string[] {
  const verbs = ['[list]', 'get ID', 'create ID field=value...', 'change ID field=value...', 'remove ID']
  return verbs.map((verb) => `${name} ${verb}`)
}

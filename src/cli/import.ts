import { readFile } from 'node:fs/promises'
import { loadClientKeys } from '../config/client-keys/load.ts'
import { readProblem } from '../lib/read-problem.ts'
import { readYaml } from '../lib/yaml.ts'
import { ConfigError } from '../sdk/errors.ts'
import type { Entities, EntityName } from '../sdk/teams/directory.ts'
import type { Command, CommandContext } from './command-line.ts'
import { openAdministration, type Run } from './directory.ts'
import { usageOf } from './help.ts'
import { fromKeys } from './import-keys.ts'
import { fromLiteLlm } from './import-litellm.ts'
import type { Imported } from './imported.ts'
import { convertLiteLlmConfig, isLiteLlmConfig } from './litellm-config.ts'

/**
 * `llm-router import keys FILE`: imports a keys file of this router or of the Python one. `import litellm FILE...`: imports
 * keys and teams from responses of LiteLLM's API, or converts its config.yaml to a models-config.json on stdout. Keys stay
 * valid, because their SHA-256 is imported. Existing records are not changed.
 */
export const importCommand: Command = async ([kind, ...files], context) => {
  const [file] = files
  if ((kind !== 'keys' && kind !== 'litellm') || file === undefined || (kind === 'keys' && files.length > 1))
    throw new ConfigError([usageOf('import', context.program) ?? ''])
  const texts = await Promise.all(files.map(textOf))
  const [text = ''] = texts
  const document = kind === 'litellm' ? readYaml(text) : undefined
  if (document && !document.syntaxError && isLiteLlmConfig(document.value))
    return convert(document.value, context)
  const imported =
    kind === 'keys'
      ? fromKeys(loadClientKeys(text, file, context.env))
      : fromLiteLlm(texts.map((text, index) => parsed(text, files[index] ?? file)))
  const { run, close } = await openAdministration(context)
  try {
    const created = await write(run, imported)
    context.print(`${JSON.stringify({ created, notes: imported.notes }, null, 2)}\n`)
    return 0
  } finally {
    await close()
  }
}

/** Writes a models-config.json to stdout, and notes on omitted parts to stderr. */
function convert(root: Record<string, unknown>, { print, printError }: CommandContext): number {
  const { config, notes } = convertLiteLlmConfig(root)
  print(`${JSON.stringify(config, null, 2)}\n`)
  for (const note of notes) printError(`${note}\n`)
  return 0
}

async function write(run: Run, { groups, clients, budgets, notes }: Imported) {
  const created = { groups: 0, clients: 0, keys: 0, budgets: 0 }
  const create = (entity: EntityName, { id, record }: { id: string; record: Entities[EntityName] }) =>
    run('createUnlessExists', { entity, id, record })
  for (const group of groups) if (await create('groups', group)) created.groups++
  for (const { id, record, keys } of clients) {
    const isNew = await create('clients', { id, record })
    if (isNew) created.clients++
    for (const key of keys) {
      const { stored, isNew: isNewKey } = await run('importKey', { client: id, ...key })
      if (isNewKey) created.keys++
      if (isNewKey && !isNew)
        notes.push(`the client ${id} already exists: its permissions and limits apply to the new key`)
      if (stored.client !== id) notes.push(`a key of ${id} already belongs to the client ${stored.client}`)
    }
  }
  for (const budget of budgets) if (await create('budgets', budget)) created.budgets++
  return created
}

async function textOf(file: string): Promise<string> {
  return readFile(file, 'utf8').catch(({ code }) => {
    throw new ConfigError([`cannot read ${file}: ${readProblem(String(code))}`])
  })
}

function parsed(text: string, file: string): { value: unknown; file: string } {
  try {
    return { value: JSON.parse(text), file }
  } catch {
    throw new ConfigError([`${file} is not JSON`])
  }
}

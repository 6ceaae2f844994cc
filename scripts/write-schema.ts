/** Writes resources/models-config.schema.json, for editors and readers, from the schema that the router validates with. */
import { writeFileSync } from 'node:fs'
import { ModelsConfigSchema } from '../src/config/models/schema.ts'
import { looseJsonSchema } from '../src/lib/json/loose.ts'

export function modelsConfigJsonSchema(): string {
  const schema = {
    $schema: 'http://json-schema.org/draft-07/schema#',
    ...looseJsonSchema(ModelsConfigSchema),
    // Read by the JSON language service of VS Code and others: the router accepts both.
    allowComments: true,
    allowTrailingCommas: true,
  }
  return `${JSON.stringify(schema, null, 2)}\n`
}

if (import.meta.main) {
  writeFileSync(new URL('../resources/models-config.schema.json', import.meta.url), modelsConfigJsonSchema())
}

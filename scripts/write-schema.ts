/** Writes resources/models-config.schema.json, which editors and people read, from the schema that the router checks by. */
import { writeFileSync } from 'node:fs'
import { looseJsonSchema } from '../src/core/loose-json.ts'
import { ModelsConfigSchema } from '../src/core/models-config.ts'

export function modelsConfigJsonSchema(): string {
  const schema = {
    $schema: 'http://json-schema.org/draft-07/schema#',
    ...looseJsonSchema(ModelsConfigSchema),
  }
  return `${JSON.stringify(schema, null, 2)}\n`
}

if (import.meta.main) {
  writeFileSync(new URL('../resources/models-config.schema.json', import.meta.url), modelsConfigJsonSchema())
}

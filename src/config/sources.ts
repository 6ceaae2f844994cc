import { readFile, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { isObject } from '../lib/json/read.ts'
import { readConfigText, type Syntax, syntaxOf } from './config-text.ts'
import { readPromptTree } from './prompt-tree.ts'
import type { ConfigSource } from './reloader.ts'
import type { FleetSnapshot } from './servers/published.ts'

/** The content of a text file, or the error code of reading it, such as ENOENT. */
export type FileContent = { text: string } | { code: string }

/** models-config.json with the files of its keys and certificates, by absolute path. */
export interface ModelsSnapshot {
  main: FileContent
  files: Record<string, FileContent>
  /** State of discovered servers. */
  fleet?: FleetSnapshot
}

/** The result of `readPromptTree`; `tree` is absent if the directory does not exist. */
export interface PromptsSnapshot {
  tree?: { texts: [id: string, text: string][]; errors: string[]; paths: string[] }
}

export interface ConfigSources {
  models: ConfigSource<ModelsSnapshot>
  prompts: ConfigSource<PromptsSnapshot>
  /** The client keys; not watched without a keys file. */
  keys: ConfigSource<FileContent>
}

interface Paths {
  modelsConfigPath: string
  promptsDir: string
  authKeysFile: string
}

/** Returns the parts of the configuration that can change at runtime. */
export function configSources({ modelsConfigPath, promptsDir, authKeysFile }: Paths): ConfigSources {
  return {
    models: modelsSource(modelsConfigPath),
    prompts: promptsSource(promptsDir),
    keys: {
      name: 'LLM_ROUTER_AUTH_MEMORY_SEED_FILE',
      read: () => contentOf(authKeysFile),
      paths: () => [authKeysFile],
    },
  }
}

function modelsSource(path: string): ConfigSource<ModelsSnapshot> {
  return {
    name: 'LLM_ROUTER_MODELS_CONFIG',
    async read() {
      const main = await contentOf(path)
      const named = 'text' in main ? filesNamedIn(main.text, syntaxOf(path)) : []
      const paths = [...new Set(named.map((file) => resolve(dirname(path), file)))]
      const contents = await Promise.all(paths.map(async (file) => [file, await contentOf(file)] as const))
      return { main, files: Object.fromEntries(contents) }
    },
    paths: ({ files }) => [path, ...Object.keys(files)],
  }
}

function promptsSource(directory: string): ConfigSource<PromptsSnapshot> {
  return {
    name: 'LLM_ROUTER_PROMPTS_DIR',
    async read() {
      const paths: string[] = []
      const tree = await readPromptTree(directory, (path) => paths.push(path))
      return tree ? { tree: { texts: [...tree.texts], errors: tree.errors, paths } } : {}
    },
    paths: ({ tree }) => [directory, ...(tree?.paths ?? [])],
  }
}

/** Reading a larger file would block all requests for seconds. */
const maxFileBytes = 16 * 1024 * 1024

async function contentOf(path: string): Promise<FileContent> {
  try {
    if ((await stat(path)).size > maxFileBytes) return { code: 'EFBIG' }
    return { text: await readFile(path, 'utf8') }
  } catch (error) {
    return { code: error instanceof Error && 'code' in error ? String(error.code) : String(error) }
  }
}

/** The fields of a provider that contain a file name; see models/server-schema.ts. */
const fileFields = new Set(['api_token_file', 'ca_file', 'client_cert_file', 'client_key_file'])

/** Returns all files named by providers anywhere in the file; none for invalid JSON, which is reported when it is loaded. */
function filesNamedIn(text: string, syntax: Syntax): string[] {
  const document = readConfigText(text, syntax)
  return document.syntaxError ? [] : filesBelow(document.value)
}

function filesBelow(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(filesBelow)
  if (!isObject(value)) return []
  return Object.entries(value).flatMap(([key, member]) => {
    if (typeof member !== 'string') return filesBelow(member)
    return fileFields.has(key) && member.trim() !== '' ? [member.trim()] : []
  })
}

import { modelsConfig } from '../helpers/models-config.ts'
import type { RequestKind } from './good-clients.ts'
import type { Ledger } from './ledger.ts'
import type { Poison } from './marker.ts'
import { SickServer } from './sick-server.ts'

/** One model, its servers, and its clients. At most two of its servers are sick at a time, the others stay healthy. */
export interface SoakModel {
  name: string
  strategy: string
  type: 'vllm' | 'ollama'
  servers: readonly SickServer[]
  /** This many of its servers, from the first, fall sick in turn. */
  sick: number
  kinds: readonly RequestKind[]
  poison: readonly Poison[]
  goodClients: number
  pauseMs: number
}

const everyServersOpinion: readonly Poison[] = [
  ...(['all-500', 'all-reset', 'all-401', 'all-402', 'all-403', 'all-404'] as const),
  ...(['too-large', 'endless', 'cut-call', 'odd-call'] as const),
]

const plans: readonly (Omit<SoakModel, 'servers'> & { count: number; imageReader?: number })[] = [
  ...['first_available', 'balanced', 'least_busy', 'weighted', 'adaptive'].map((strategy) => ({
    name: `with-${strategy}`,
    strategy,
    type: 'vllm' as const,
    count: 4,
    sick: 2,
    kinds: ['chat'] as const,
    poison: everyServersOpinion,
    goodClients: 2,
    pauseMs: 150,
  })),
  // Rarely asked by good clients, so that hardly any answer clears a target of what an agent does to it.
  plan({ name: 'quiet', count: 2, poison: ['all-500', 'all-reset'], goodClients: 1, pauseMs: 4_000 }),
  plan({ name: 'vision', count: 3, imageReader: 2, kinds: ['chat', 'image'] }),
  plan({ name: 'embeddings', count: 2, kinds: ['embedding'], poison: ['no-operation'] }),
  plan({ name: 'ollama', type: 'ollama', count: 2, poison: ['repeating'] }),
  plan({ name: 'killed', count: 4, poison: ['kill'] }),
]

function plan(given: Partial<(typeof plans)[number]> & { name: string; count: number }) {
  const common = { strategy: 'balanced', type: 'vllm' as const, sick: 0, kinds: ['chat'] as const }
  return { ...common, poison: [], goodClients: 2, pauseMs: 150, ...given }
}

/** Starts all servers. */
export async function startFleet(random: () => number, { visits }: Ledger): Promise<SoakModel[]> {
  return Promise.all(
    plans.map(async ({ count, imageReader, ...model }) => {
      const servers = Array.from({ length: count }, (_, index) => {
        const readsImages = imageReader === undefined || imageReader === index
        return new SickServer({ id: `${model.name}-${index}`, random, visits, readsImages })
      })
      await Promise.all(servers.map((server) => server.start()))
      return { ...model, servers }
    }),
  )
}

/** The models-config.json of the fleet; `without` omits the first server of each model that has sick ones. */
export function fleetConfig(
  models: readonly SoakModel[],
  { without, weight }: { without: boolean; weight: number },
): object {
  const config = modelsConfig(
    Object.fromEntries(
      models.map(({ name, type, servers, sick }) => [
        name,
        servers
          .slice(without && sick > 0 ? 1 : 0)
          .map(({ id, url }) => ({ id, api_type: type, api_host: url, model_path: name, weight })),
      ]),
    ),
  )
  const group = Object(config.test_models)
  for (const { name, strategy } of models) group[name].strategy = strategy
  return config
}

import type { TSchema } from '@sinclair/typebox'
import type { ClientKey, Role, Surface } from './client-key.ts'
import type { EndpointDocs } from './endpoint-docs.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The clients that may use the route, unless its dialect implies it; `any`: every valid key. With neither: operators only. */
    surface?: Surface | 'any'
    /**
     * What a change by this route takes; default `operator`. Where it is set, reading takes a key with the role `viewer`, on
     * every port and even without client keys.
     */
    role?: Role
    /** Needs no key on any port: files of the page that asks for one. */
    open?: true
    /** A page for people, though not for operators alone: a session opens it, and a browser without one is asked to sign in. */
    page?: true
    /** Its answer goes on: a browser's cookie is only taken from a page of this router. */
    live?: true
    /** Form of its errors where no dialect gives it: RFC 9457. */
    errors?: 'problem'
    /** Name of the dialect that the route speaks; decides the form of its errors. */
    dialect?: string
    /** Schema of the body for the API documentation, where the route itself checks less of it. */
    documentedBody?: TSchema
    /** What the API documentation says of the route; false: nothing, as it is only a file of a page. */
    docs?: EndpointDocs | false
  }
  interface FastifyRequest {
    /** Whose key the request came with; undefined where none is asked for. */
    client: ClientKey | undefined
  }
}

export type { ClientKey, EndpointDocs, Surface }

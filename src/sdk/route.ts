import type { TSchema } from '@sinclair/typebox'
import type { ClientKey, Role, Surface } from './client-key.ts'
import type { EndpointDocs } from './endpoint-docs.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * The clients that may use the route, unless its dialect implies it; `any`: every valid key. With neither: operators only.
     */
    surface?: Surface | 'any'
    /**
     * What a change by this route takes; default `operator`. Where it is set, reading takes a key with the role `viewer`, on
     * every port and even without client keys.
     */
    role?: Role
    /** Needs no key on any port: files of the page that asks for one. */
    open?: true
    /** A page for people other than operators too: a session is accepted, and a browser without one is asked to sign in. */
    page?: true
    /** A long-running response: a session cookie is only accepted from a page of this router. */
    live?: true
    /** Error format without a dialect: RFC 9457. */
    errors?: 'problem'
    /** Name of the dialect that the route speaks; decides the form of its errors. */
    dialect?: string
    /** Schema of the body for the API documentation, if the route itself validates less. */
    documentedBody?: TSchema
    /** API documentation of the route; false: undocumented, such as a file of a page. */
    docs?: EndpointDocs | false
  }
  interface FastifyRequest {
    /** The client of the request's key; undefined if no key is required. */
    client: ClientKey | undefined
  }
}

export type { ClientKey, EndpointDocs, Surface }

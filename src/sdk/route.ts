import type { TSchema } from '@sinclair/typebox'
import type { ClientKey, Role, Surface } from './client-key.ts'
import type { EndpointDocs } from './endpoint-docs.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * The surface that a client needs for the route; default: that of its dialect. `any`: every valid key. With neither surface
     * nor dialect: operators only.
     */
    surface?: Surface | 'any'
    /**
     * Role required for changes through this route; default `operator`. If set, reading requires the role `viewer`, on every
     * port and even if no client keys are configured.
     */
    role?: Role
    /** Requires no key on any port: files of the sign-in page. */
    open?: true
    /** A page that is not only for operators: a session is accepted, and a browser without one is sent to the sign-in page. */
    page?: true
    /** A long-lived response: a session cookie is only accepted from a page of this router. */
    live?: true
    /** Error format without a dialect: RFC 9457. */
    errors?: 'problem'
    /** Name of the dialect of the route, which determines the format of its errors. */
    dialect?: string
    /** Schema of the body for the API documentation, if the route itself validates less. */
    documentedBody?: TSchema
    /** API documentation of the route; false: undocumented, such as a file of a page. */
    docs?: EndpointDocs | false
  }
  interface FastifyRequest {
    /** The client that the request's key belongs to; undefined if no key is required. */
    client: ClientKey | undefined
  }
}

export type { ClientKey, EndpointDocs, Surface }

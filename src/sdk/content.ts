/**
 * How processors treat a value in a request: which parts they read and change, and which they leave alone. Each dialect has a
 * table per operation. A value without an entry cannot be processed: the request is rejected if a processor that fails closed
 * applies to it.
 */
export type ContentShape =
  /**
   * Defined by the protocol: models, roles, ids, schemas. Passed on unchanged; a string that contains a value certain to be
   * masked is rejected.
   */
  | 'keep'
  /**
   * Bytes that only the upstream can read: passed on unchanged; plain text instead is rejected if it contains a value certain
   * to be masked.
   */
  | 'opaque'
  /** Replaced or never sent by the router, such as the model name: not read. */
  | 'replaced'
  /** Text of a person or a model. */
  | 'text'
  /** A string that contains JSON, such as the arguments of a call: strings and numbers in it are content. */
  | 'json'
  /** Any JSON value: strings and numbers in it are content, keys are not. */
  | 'value'
  /**
   * A JSON Schema or a tool definition: descriptions, examples and values in it are content of the developer; everything else
   * is treated as `keep`.
   */
  | 'schema'
  /** An image, audio or a file: rejected or passed on, depending on the settings. */
  | 'media'
  /** Rejected: content that cannot be read here, such as state kept at the upstream. */
  | 'rejected'
  | ContentForms

/** Shapes by the JSON type of the value. null, booleans and numbers are passed on unless `numbers` says otherwise. */
export interface ContentForms {
  /** A string. */
  readonly text?: ContentShape
  /** Each item of a list. */
  readonly items?: ContentShape
  /** On a list: whether adjacent texts form one text. false on an object: its texts are not joined with their neighbours. */
  readonly joined?: boolean
  /** Members of an object, by name. */
  readonly members?: Readonly<Record<string, ContentShape>>
  /** Shape of all other members. */
  readonly rest?: ContentShape
  /** The shape of an object depends on the value of one of its members. */
  readonly by?: {
    readonly member: string
    readonly cases: Readonly<Record<string, ContentShape>>
    readonly otherwise?: ContentShape
  }
  /**
   * The member `proof` is a signature of the first of `values` that is present. If a response was changed for the client, the
   * signature is used to restore the signed text when the client sends it back.
   */
  readonly signed?: { readonly values: readonly string[]; readonly proof: string }
  /** Numbers are content that cannot be read here, such as token ids. */
  readonly numbers?: 'rejected'
  /** The texts are from the operator or developer: masked depending on the settings. */
  readonly system?: boolean
}

/** Shapes of request bodies by operation. */
export type ContentTable = Readonly<Partial<Record<string, ContentShape>>>

/** A shape for every member of a body; a missing one is a type error. */
export type MembersOf<Body> = Readonly<Record<keyof Body, ContentShape>>

/** A piece of text in one event of a streamed response; later events may continue it. */
export interface StreamedText {
  /** Name of the text that it belongs to: pieces with the same name form one text. */
  readonly channel: string
  /** Channels of one group are sequential: a new one ends the previous ones. Absent: channels are concurrent. */
  readonly group?: string
  /** Path to the piece: member names and array indexes. */
  readonly path: readonly (string | number)[]
  /** Whether the whole text is JSON. */
  readonly isJson?: boolean
  /** Whether the text is the arguments of a tool call. */
  readonly isCall?: boolean
}

/**
 * A range of a text, given by offsets in a citation of a response. The offsets are adjusted when a processor changes the text,
 * and removed if the adjusted ones cannot be computed.
 */
export interface CitedRange {
  /** Path to the object with the offsets: member names and array indexes. */
  readonly path: readonly (string | number)[]
  /** Names of the members with offsets, in ascending order of the offsets. */
  readonly members: readonly string[]
  /** Unit of the offsets: UTF-8 bytes, or characters, which vendors count as code points or as UTF-16 code units. */
  readonly unit: 'utf8' | 'characters'
  /**
   * The text that the offsets refer to: that of a channel, that at a path of the same event or response, or a document of the
   * request, by its index. Undefined: unknown.
   */
  readonly text:
    | { readonly channel: string }
    | { readonly path: readonly (string | number)[] }
    | { readonly document: number }
    | undefined
  /** The member of the same object that quotes the range. */
  readonly quote?: string
}

/** The content in one event of a streamed response. */
export interface StreamedContents {
  readonly texts: readonly StreamedText[]
  /** Prefixes of the names of channels that end with this event. */
  readonly ends?: readonly string[]
  /** Signatures of reasoning that ends with this event: that of a channel, or the value at a path of the same event. */
  readonly signatures?: readonly {
    readonly path: readonly (string | number)[]
    readonly of: { readonly channel: string } | { readonly path: readonly (string | number)[] }
  }[]
  /** Ranges of texts that the event refers to. */
  readonly citations?: readonly CitedRange[]
  /** Channels of tool calls that the event announces without content. */
  readonly begins?: readonly string[]
  /** Values that are complete in the event, or repeat the content of channels. */
  readonly whole?: readonly { readonly path: readonly (string | number)[]; readonly shape: ContentShape }[]
}

/** Follows the events of one streamed response, so that the router can end it early. */
export interface StreamEnding {
  /** Called for each event that was sent. */
  observe(event: Readonly<Record<string, unknown>>): void
  /**
   * Returns the events that end the response as filtered, after those sent so far. `why`: the reason, for dialects that carry
   * one. `template`: an event of the response, for members that all events have, such as the id.
   */
  endFiltered(why: string, template: Readonly<Record<string, unknown>>): Record<string, unknown>[]
}

/** Where content is located in the streamed responses of a dialect. */
export interface StreamContents {
  /** Reads one event, parsed from JSON. */
  read(event: Readonly<Record<string, unknown>>): StreamedContents
  /** Returns the events that add `text` to a channel. `template`: the last event that did. */
  continueText(
    template: Readonly<Record<string, unknown>>,
    at: StreamedText,
    text: string,
  ): Record<string, unknown>
  /** Name of the member with the sequence number of an event; absent: events are not numbered. */
  readonly sequenceMember?: string
  /** Whether each server-sent event has an `event` field with the value of its member `type`. */
  readonly hasEventNames?: boolean
  /** What follows the last event in a stream of server-sent events. */
  readonly endMark?: string
  createEnding(): StreamEnding
}

/** Where the user's turns are located in the body of a chat. */
export interface UserTurnForm {
  /** The member with the list of turns, or with a single text. */
  readonly turns: string
  /** The member of a turn that holds its text, or the list of its parts. */
  readonly content: string
  /** Returns a content part with this text. */
  part(text: string): Record<string, unknown>
}

/** The documents of a request, and citations of them in earlier turns of the conversation. */
export interface RequestDocuments {
  /** Path of each document's text, such as `messages[0].content[1]`. Undefined: the text is not in the request. */
  readonly texts: readonly (string | undefined)[]
  readonly citations: readonly CitedRange[]
}

/** Where content is located in the requests and responses of a dialect. */
export interface DialectContents {
  readonly requests: ContentTable
  readonly stream: StreamContents
  readonly answers: AnswerContents
  /** Absent: chats with added passages are translated through the canonical form. */
  readonly userTurn?: UserTurnForm
  /** The documents of a request, to which citations in its response refer. Absent: there are none in this dialect. */
  documents?(body: Readonly<Record<string, unknown>>): RequestDocuments
}

/** Where content is located in whole responses to chats. */
export interface AnswerContents {
  readonly shape: ContentShape
  /** Returns the response as filtered, without the model's output. `why`: the reason, for dialects that carry one. */
  filtered(answer: Readonly<Record<string, unknown>>, why: string): Record<string, unknown>
  /** Ranges of texts that the response refers to. */
  citations?(answer: Readonly<Record<string, unknown>>): readonly CitedRange[]
}

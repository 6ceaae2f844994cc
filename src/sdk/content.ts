/**
 * Where content is located in a request: what processors read and change, and what they leave alone. Each dialect has one table
 * for each of its operations. Content without an entry is not protected, and is rejected if a processor that fails closed
 * applies.
 */
export type ContentShape =
  /**
   * Defined by the protocol: models, roles, ids, schemas. Passed on unchanged; a string in it must not contain values that are
   * certain to be masked.
   */
  | 'keep'
  /** Bytes that only their server can read: passed on unchanged; text in place of them must not contain values that are certain to be masked. */
  | 'opaque'
  /** What the router replaces or never sends, such as the model name: not read. */
  | 'own'
  /** Text of a person or a model. */
  | 'text'
  /** The text of a JSON value, such as the arguments of a call: its strings and numbers are content. */
  | 'json'
  /** Any JSON value: its strings and numbers are content, its keys are not. */
  | 'value'
  /**
   * A JSON Schema, or a tool: its descriptions, examples and values are content of the developer; everything else is treated as
   * `keep`.
   */
  | 'schema'
  /** An image, audio or a file: rejected or passed on, depending on the settings. */
  | 'media'
  /** Rejected: content that cannot be read here, such as state kept at the upstream. */
  | 'refused'
  | ContentForms

/** Shapes of a value, by its JSON type. null, true, false and numbers are passed on unless `numbers` says otherwise. */
export interface ContentForms {
  /** A string. */
  readonly text?: ContentShape
  /** Each item of a list. */
  readonly items?: ContentShape
  /** Whether adjacent texts of the list form one text. false, for an object: its texts stand alone in such a list. */
  readonly joined?: boolean
  /** Members of an object, by name. */
  readonly members?: Readonly<Record<string, ContentShape>>
  /** All members that are not named. */
  readonly rest?: ContentShape
  /** The shape of an object depends on a member of it. */
  readonly by?: {
    readonly member: string
    readonly cases: Readonly<Record<string, ContentShape>>
    readonly otherwise?: ContentShape
  }
  /**
   * A member whose words are proved by another one (the first of `values` that is there): after a response was changed for its
   * client, the proof restores the text.
   */
  readonly signed?: { readonly values: readonly string[]; readonly proof: string }
  /** Numbers are content that cannot be read here, such as token ids. */
  readonly numbers?: 'refused'
  /** The texts within belong to the operator or developer: masked depending on the settings. */
  readonly system?: boolean
}

/** Shapes of request bodies by operation: `chat` and the other operations of the dialect. */
export type ContentTable = Readonly<Partial<Record<string, ContentShape>>>

/** Every member of a body of this schema must have a shape: a missing one is a type error. */
export type MembersOf<Body> = Readonly<Record<keyof Body, ContentShape>>

/** A piece of text in one event of a streamed response, which continues in later events. */
export interface StreamedText {
  /** The text that it belongs to: pieces with the same name form one text. */
  readonly channel: string
  /** Channels of one group follow each other: a new one ends the previous ones. Absent: they are concurrent. */
  readonly group?: string
  /** Members and list positions that lead to the piece. */
  readonly path: readonly (string | number)[]
  /** Whether it is a piece of a JSON text. */
  readonly isJson?: boolean
  /** Whether it is a piece of what a tool is called with. */
  readonly isCall?: boolean
}

/**
 * A range of a text, as a citation in a response names it by offsets. They are adjusted when a processor changes the text, and
 * removed if the adjusted ones cannot be computed.
 */
export interface CitedRange {
  /** Members and list positions that lead to the object with the offsets. */
  readonly path: readonly (string | number)[]
  /** Its members with offsets, in their order. */
  readonly members: readonly string[]
  /** What the offsets count: bytes of UTF-8, or characters, which are code points to some and UTF-16 units to others. */
  readonly unit: 'utf8' | 'characters'
  /**
   * The text that they count in: of a channel, at a path of the same event or response, or of a document of the request, by its
   * index. Undefined: unknown.
   */
  readonly text:
    | { readonly channel: string }
    | { readonly path: readonly (string | number)[] }
    | { readonly document: number }
    | undefined
  /** The member of the same object that quotes the range. */
  readonly quote?: string
}

/** What one event of a streamed answer means to a processor. */
export interface StreamedContents {
  readonly texts: readonly StreamedText[]
  /** Channels that end with this event, by the beginnings of their names. */
  readonly ends?: readonly string[]
  /**
   * The member that proves thoughts which end here: those of a channel, or the value at a path of the same event.
   */
  readonly signatures?: readonly {
    readonly path: readonly (string | number)[]
    readonly of: { readonly channel: string } | { readonly path: readonly (string | number)[] }
  }[]
  /** Ranges of texts that the event names. */
  readonly citations?: readonly CitedRange[]
  /** Channels of calls that the event announces without a piece of them. */
  readonly begins?: readonly string[]
  /** Values that stand whole in the event, or repeat what channels had. */
  readonly whole?: readonly { readonly path: readonly (string | number)[]; readonly shape: ContentShape }[]
}

/** Follows the events of one streamed answer, so that it can be ended before its own end. */
export interface StreamEnding {
  /** An event has gone out. */
  sent(event: Readonly<Record<string, unknown>>): void
  /**
   * The events that end the answer as ended by a filter, for a client that has all that went out. `why`: for dialects with words
   * for it. `like`: an event of the answer that says what all of them do.
   */
  filtered(why: string, like: Readonly<Record<string, unknown>>): Record<string, unknown>[]
}

/** How the streamed answers of a dialect are read and continued. */
export interface StreamContents {
  /** Reads one event, the JSON of an object. */
  read(event: Readonly<Record<string, unknown>>): StreamedContents
  /** An event that adds `text` to a channel, made like the last one that did. */
  continued(like: Readonly<Record<string, unknown>>, at: StreamedText, text: string): Record<string, unknown>
  /** The member that numbers the events; absent: they are not numbered. */
  readonly numberedBy?: string
  /** Whether server-sent events have the name that their member `type` says. */
  readonly isNamed?: boolean
  /** What follows the last event in a stream of server-sent events. */
  readonly endMark?: string
  createEnding(): StreamEnding
}

/** Where the turns of the user stand in the body of a chat. */
export interface UserTurnForm {
  /** The member with the list of turns, or with a single text. */
  readonly turns: string
  /** The member of a turn that holds its text, or the list of its parts. */
  readonly content: string
  /** A text as a part of a turn. */
  part(text: string): Record<string, unknown>
}

/** The documents of a request, and the citations of them in its earlier turns. */
export interface RequestDocuments {
  /** Paths of their texts by index, in the syntax `messages[0].content[1]`. Undefined: the text is not in the request. */
  readonly texts: readonly (string | undefined)[]
  readonly citations: readonly CitedRange[]
}

/** Where content is located in the requests and responses of a dialect. */
export interface DialectContents {
  readonly requests: ContentTable
  readonly stream: StreamContents
  readonly answers: AnswerContents
  /** Absent: a chat that something is added to goes through the canonical form. */
  readonly userTurn?: UserTurnForm
  /** The documents of a request, to which citations in its response refer. Absent: there are none in this dialect. */
  documents?(body: Readonly<Record<string, unknown>>): RequestDocuments
}

/** Where content is located in whole responses to chats. */
export interface AnswerContents {
  readonly shape: ContentShape
  /** The response without what the model wrote, as ended by a filter. `why`: for dialects with words for it. */
  filtered(answer: Readonly<Record<string, unknown>>, why: string): Record<string, unknown>
  /** Ranges of texts that the response names. */
  citations?(answer: Readonly<Record<string, unknown>>): readonly CitedRange[]
}

import { isObject, type JsonObject, objectsIn, textOf } from '../../lib/json/read.ts'
import type { ContentFeature } from '../../sdk/dialect.ts'
import { listIn, memberOf, objectIn } from './members.ts'

/** What a body shows of the features that a server may lack. */
export function* features(body: Readonly<JsonObject>): Generator<ContentFeature> {
  if (objectsIn(body.tools).length > 0) yield 'tools'
  const config = objectIn(body, 'generationConfig') ?? {}
  if (isObject(memberOf(config, 'responseSchema')) || isObject(memberOf(config, 'responseJsonSchema')))
    yield 'schema'
  if (memberOf(config, 'responseMimeType') === 'application/json') yield 'schema'
  for (const content of listIn(body, 'contents'))
    for (const part of objectsIn(content.parts)) {
      const data = objectIn(part, 'inlineData') ?? objectIn(part, 'fileData')
      if (data) yield featureOf(textOf(memberOf(data, 'mimeType')) ?? '')
    }
}

function featureOf(mediaType: string): ContentFeature {
  const [kind] = mediaType.split('/')
  return kind === 'image' || kind === 'audio' || kind === 'video' ? kind : 'file'
}

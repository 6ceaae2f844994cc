import { present } from '../../lib/json/read.ts'
import type { FilePart } from '../../sdk/chat.ts'
import { readDataUrl } from './images.ts'

/** The first bytes of every PDF, `%PDF`, in base64. */
export const pdfStart = 'JVBERi'

/**
 * The data of a file as OpenAI's APIs accept it: as a data URL, and only together with a name. Anthropic's documents and Gemini's
 * files may lack one. Source: OpenAI API, error `Missing required parameter: ....file.file_id` for data without a name.
 */
export function openaiFile({ data, name }: FilePart): { file_data?: string; filename?: string } {
  if (data === undefined) return present({ filename: name })
  const isBarePdf = data.startsWith(pdfStart)
  const mediaType = isBarePdf ? 'application/pdf' : readDataUrl(data)?.mediaType
  return {
    file_data: isBarePdf ? `data:${mediaType};base64,${data}` : data,
    filename: name ?? (mediaType === 'application/pdf' ? 'document.pdf' : 'document'),
  }
}

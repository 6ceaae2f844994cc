import { type ProbedDialect, pdf, png, schema } from './probe.ts'

const hello = { role: 'user', parts: [{ text: 'Hello' }] }
const declaration = {
  name: 'get_weather',
  description: 'Weather',
  parameters: { type: 'OBJECT', properties: { city: { type: 'STRING' } } },
}
const functions = { tools: [{ functionDeclarations: [declaration] }] }
const call = { functionCall: { id: 'call_1', name: 'get_weather', args: { city: 'Oslo' } } }
const result = { functionResponse: { id: 'call_1', name: 'get_weather', response: { output: '3' } } }

function said(...parts: object[]): Record<string, unknown> {
  return { contents: [{ role: 'user', parts: [{ text: 'Hello' }, ...parts] }] }
}

function turns(model: object[], user: object[] = [{ text: 'And?' }]): Record<string, unknown> {
  return { contents: [hello, { role: 'model', parts: model }, { role: 'user', parts: user }] }
}

function config(members: object): Record<string, unknown> {
  return { generationConfig: members }
}

function choice(mode: string, ...allowedFunctionNames: string[]): Record<string, unknown> {
  const names = allowedFunctionNames.length > 0 ? { allowedFunctionNames } : {}
  return { toolConfig: { functionCallingConfig: { mode, ...names } } }
}

/** Source: Gemini API reference, "Generating content". */
export const gemini: ProbedDialect = {
  dialect: 'gemini',
  title: 'Gemini',
  plain: { contents: [hello] },
  own: {},
  probes: [
    { field: 'systemInstruction', body: { systemInstruction: { parts: [{ text: 'Be brief' }] } } },
    {
      field: 'contents: inlineData, image',
      body: said({ inlineData: { mimeType: 'image/png', data: png } }),
    },
    {
      field: 'contents: inlineData, PDF',
      body: said({ inlineData: { mimeType: 'application/pdf', data: pdf } }),
    },
    {
      field: 'contents: fileData, image',
      body: said({ fileData: { mimeType: 'image/png', fileUri: 'https://example.com/a.png' } }),
    },
    { field: 'contents: functionCall, functionResponse', body: turns([call], [result]) },
    {
      field: 'contents: functionResponse, error',
      body: turns([call], [{ functionResponse: { ...result.functionResponse, response: { error: '3' } } }]),
      beside: turns([call], [result]),
    },
    {
      field: 'contents: thought',
      body: turns([{ text: 'Hm', thought: true }, { text: 'Hi' }]),
      beside: turns([{ text: 'Hi' }]),
    },
    { field: 'contents: executableCode', body: said({ executableCode: { language: 'PYTHON', code: '1' } }) },
    { field: 'tools: functionDeclarations', body: functions },
    { field: 'tools: googleSearch', body: { tools: [{ googleSearch: {} }] } },
    { field: 'toolConfig: ANY', body: { ...functions, ...choice('ANY') }, beside: functions },
    { field: 'toolConfig: NONE', body: { ...functions, ...choice('NONE') }, beside: functions },
    {
      field: 'toolConfig: allowedFunctionNames',
      body: { ...functions, ...choice('ANY', 'get_weather') },
      beside: functions,
    },
    { field: 'generationConfig: maxOutputTokens', body: config({ maxOutputTokens: 100 }) },
    { field: 'generationConfig: temperature', body: config({ temperature: 0.5 }) },
    { field: 'generationConfig: topP', body: config({ topP: 0.5 }) },
    { field: 'generationConfig: topK', body: config({ topK: 40 }) },
    { field: 'generationConfig: seed', body: config({ seed: 1 }) },
    { field: 'generationConfig: stopSequences', body: config({ stopSequences: ['END'] }) },
    { field: 'generationConfig: presencePenalty', body: config({ presencePenalty: 0.5 }) },
    { field: 'generationConfig: frequencyPenalty', body: config({ frequencyPenalty: 0.5 }) },
    { field: 'generationConfig: candidateCount', body: config({ candidateCount: 2 }) },
    { field: 'generationConfig: responseLogprobs', body: config({ responseLogprobs: true }) },
    { field: 'generationConfig: responseMimeType', body: config({ responseMimeType: 'application/json' }) },
    {
      field: 'generationConfig: responseSchema',
      body: config({ responseMimeType: 'application/json', responseSchema: declaration.parameters }),
    },
    {
      field: 'generationConfig: responseJsonSchema',
      body: config({ responseMimeType: 'application/json', responseJsonSchema: schema }),
    },
    { field: 'generationConfig: thinkingConfig', body: config({ thinkingConfig: { thinkingBudget: 1024 } }) },
    { field: 'generationConfig: responseModalities', body: config({ responseModalities: ['AUDIO'] }) },
    {
      field: 'safetySettings',
      body: { safetySettings: [{ category: 'HARM_CATEGORY_HARASSMENT', threshold: 'OFF' }] },
    },
    { field: 'cachedContent', body: { cachedContent: 'cachedContents/1' } },
    { field: 'any other field', body: { unheardOf: 1 } },
  ],
  silent: {},
}

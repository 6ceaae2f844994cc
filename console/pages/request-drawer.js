/** One of the latest requests in detail. */

import { compact, Dialog, html, inWords, ms, none, rate, State, whole } from '../kit.js'
import { Facts } from './fleet-actions.js'

/** Prompt and output tokens, in a few characters. */
export function tokens({ prompt_tokens: prompt, completion_tokens: output }) {
  if (prompt === null && output === null) return none
  return `${prompt === null ? none : compact(prompt)} → ${output === null ? none : compact(output)}`
}

/** The attempts of a request over time, and everything that the router knows of it. */
export function RequestDrawer({ request, onClient, onClose }) {
  const {
    id,
    at,
    client,
    method,
    endpoint,
    dialect,
    stream,
    model,
    asked: unknownModel,
    target,
    reason,
    queue_ms: queue,
    cached_tokens: cached,
    status: code,
    outcome,
    error,
    dropped,
  } = request
  const facts = [
    ['Arrived', new Date(at).toLocaleString()],
    ['Outcome', html`<${State} of=${outcome} /> <span class="quiet">HTTP ${code}</span>`],
    [
      'Error',
      error && html`${inWords(error.code)} <code class="quiet">${error.code}</code><br />${error.text}`,
    ],
    [
      'Client',
      client &&
        html`<button type="button" class="plain" onClick=${() => {
          onClose()
          onClient(client)
        }}>${client}</button>`,
    ],
    ['Model', unknownModel ? `${unknownModel} (unknown)` : model],
    ['Answered by', request.answered_by],
    ['Target', target],
    ['Why this one', reason],
    [
      'Endpoint',
      endpoint &&
        html`<code>${method} ${endpoint}</code>${dialect && ` (${dialect}${stream ? ', streamed' : ''})`}`,
    ],
    ['In the queue', queue > 0 && ms(queue)],
    ['First token', request.ttft_ms !== null && ms(request.ttft_ms)],
    [
      'Tokens',
      request.prompt_tokens !== null &&
        `${tokens(request)}${cached ? `, ${whole(cached)} of the prompt cached` : ''}`,
    ],
    ['Tokens/s', request.tokens_per_second !== null && rate(request.tokens_per_second)],
    ['Duration', ms(request.duration_ms)],
    ['Dropped', dropped && `${dropped.join(', ')}: the target cannot carry them`],
    ['Process', request.worker > 0 && request.worker],
    ['Request id', html`<code>${id}</code>`],
  ]
  return html`<${Dialog} title="Request" kind="drawer" onClose=${onClose}><${Timeline} request=${request} /><${Facts} facts=${facts} /></${Dialog}>`
}

/** Where the time went: the queue, and for each attempt the time to its first token and to its end. */
function Timeline({ request: { duration_ms: all, queue_ms: queue, attempts } }) {
  const total = Math.max(all, ...attempts.map(({ end_ms: end }) => end ?? 0), 1)
  const bar = (kind, from, to) =>
    html`<span class="bar" data-kind=${kind} style=${{ left: `${(from / total) * 100}%`, width: `${Math.max(0.4, ((to - from) / total) * 100)}%` }}></span>`
  const queued = attempts.length === 0 ? queue : 0
  return html`<section class="stack" aria-label="Timeline"><div class="row apart"><h3>Attempts</h3>
      <span class="legend"><span><span class="key key-5"></span>queue</span><span><span class="key"></span>response (pale: until its first token)</span><span><span class="key key-6"></span>failed</span></span></div>
    <ol class="timeline">
      ${queued > 0 && html`<li><span>queue</span><span class="lane">${bar('queue', 0, queued)}</span><span class="number">${ms(queued)}</span></li>`}
      ${attempts.length === 0 && html`<li class="quiet"><span>none</span><span class="lane"></span><span class="number">${ms(all)}</span></li>`}
      ${attempts.map(
        (
          {
            target,
            model,
            start_ms: start,
            queue_ms: waited,
            ttft_ms: ttft,
            end_ms: end,
            outcome,
            error,
            reason,
          },
          index,
        ) => {
          const last = end ?? total
          const first = ttft === null ? undefined : Math.min(last, start + ttft)
          return html`<li key=${index} title=${reason ?? ''}>
          <span class="attempt"><span class="cut">${target}</span><span class="quiet small">${outcome === 'success' ? model : error ? inWords(error.code) : outcome}</span></span>
          <span class="lane">${waited > 0 && bar('queue', Math.max(0, start - waited), start)}
            ${outcome === 'failure' ? bar('failure', start, last) : first === undefined ? bar(outcome === 'success' ? 'answer' : 'wait', start, last) : [bar('wait', start, first), bar('answer', first, last)]}</span>
          <span class="number">${ms(last - start)}</span></li>`
        },
      )}
    </ol></section>`
}

/** Line and bar charts over time. uPlot is loaded with the first chart. */

import { useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { compact, day, ms, none, whole } from './format.js'
import { html } from './html.js'
import { systemIsDark, theme } from './theme.js'

/** Formats that round to whole numbers: an axis with smaller steps would repeat its labels. */
const wholeFormats = new Set([whole, compact, ms])
const wholeSteps = Array.from({ length: 10 }, (_, power) =>
  [1, 2, 5].map((step) => step * 10 ** power),
).flat()

/** `series`: label and values; `from` and `step` in seconds; `format` turns a value into text. */
export function Chart({ title, figure, level = 'h3', ...rest }) {
  const { series, format = whole } = rest
  const highest = series.map(({ label, values }) => `${label}: at most ${format(Math.max(0, ...values))}`)
  return html`<figure class="card chart">
    <figcaption><${level}>${title}</${level}><span class="quiet small">${figure}</span></figcaption>
    <${Plot} key=${`${theme.value} ${systemIsDark.value}`} label=${`${title}. ${highest.join(', ')}`} ...${rest} />
  </figure>`
}

function Plot({ label, series, from, step, format = whole, bars = false }) {
  const [box, keys, plot, latest] = [useRef(), useRef(), useRef(), useRef()]
  const times = series[0].values.map((_value, index) => from + index * step)
  latest.current = [times, ...series.map(({ values }) => values)]
  const hovered = useSignal(undefined)
  useEffect(() => {
    let stopped = false
    let watcher
    void import('uplot').then(({ default: UPlot }) => {
      // The effect of a removed chart is cleaned up a frame later.
      if (stopped || box.current === null) return
      const colour = (element, name) => getComputedStyle(element)[name]
      const lines = [...keys.current.querySelectorAll('.key')].map((key) => colour(key, 'backgroundColor'))
      const isShort = times.at(-1) - times[0] < 600
      const quiet = colour(keys.current, 'color')
      const grid = colour(box.current, 'borderTopColor')
      const { width, height } = box.current.getBoundingClientRect()
      const axis = { stroke: quiet, font: '11px system-ui, sans-serif', ticks: { show: false } }
      const label = (at) => timeLabel(at, step, isShort ? '2-digit' : undefined)
      // Half of the last label is beside the plot. One character is about six and a half pixels wide.
      const labelWidth = label(times.at(-1)).length * 6.5
      const options = {
        width,
        height,
        legend: { show: false },
        padding: [8, Math.ceil(labelWidth / 2), 0, 0],
        cursor: { drag: { setScale: false, x: false, y: false }, points: { size: 6 } },
        scales: { y: { range: (_u, _low, high) => [0, high > 0 ? high * 1.1 : 1] } },
        axes: [
          {
            ...axis,
            grid: { show: false },
            size: 22,
            space: labelWidth + 16,
            values: (_u, all) => all.map(label),
          },
          {
            ...axis,
            grid: { stroke: grid, width: 1 },
            size: 52,
            space: 30,
            ...(wholeFormats.has(format) && { incrs: wholeSteps }),
            values: (_u, all) => all.map((value) => format(value)),
          },
        ],
        series: [
          {},
          ...lines.map((stroke, index) => ({
            stroke,
            width: 1.5,
            points: { size: 4, fill: stroke, filter: isolated },
            ...(index === 0 && { fill: stroke.replace(/^rgb\((.+)\)$/, 'rgba($1, 0.1)') }),
            ...(bars && { paths: UPlot.paths.bars({ size: [0.7, 40] }), fill: stroke }),
          })),
        ],
        hooks: {
          setCursor: [
            ({ cursor: { idx } }) => {
              hovered.value = idx ?? undefined
            },
          ],
        },
      }
      plot.current = new UPlot(options, latest.current, box.current)
      watcher = new ResizeObserver(([{ contentRect }]) =>
        plot.current.setSize({ width: contentRect.width, height }),
      )
      watcher.observe(box.current)
    })
    return () => {
      stopped = true
      watcher?.disconnect()
      plot.current?.destroy()
      plot.current = undefined
    }
  }, [])
  useEffect(() => plot.current?.setData(latest.current))
  const at = hovered.value
  return html`<div class="plot" ref=${box} role="img" aria-label=${label}></div>
    <div class="legend" ref=${keys}>
      ${series.map(
        (
          { label: name, values },
          index,
        ) => html`<span key=${name}><span class=${`key key-${index + 1}`}></span>
          ${name}${at === undefined ? '' : ` ${values[at] === null || values[at] === undefined ? none : format(values[at])}`}</span>`,
      )}
      ${at !== undefined && html`<span>${timeLabel(times[at], step, '2-digit')}</span>`}
    </div>`
}

/** Indexes of values without a neighbour: no line leads to them, so each is drawn as a point. */
function isolated({ data }, index) {
  const has = (value) => value !== null && value !== undefined
  return data[index].flatMap((value, at, all) =>
    has(value) && !has(all[at - 1]) && !has(all[at + 1]) ? [at] : [],
  )
}

function timeLabel(seconds, step, second) {
  const date = new Date(seconds * 1000)
  if (step >= 86_400) return day(date)
  return date.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit', second })
}

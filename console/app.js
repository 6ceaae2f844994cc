/** The frame around all pages: navigation, who is signed in, which router this is, and how current the page is. */

import { effect, signal, useSignal } from '@preact/signals'
import { Component, render } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import {
  clock,
  Dialog,
  html,
  Icon,
  Notice,
  restoreTheme,
  State,
  setTheme,
  states,
  Toasts,
  theme,
} from './kit.js'
import {
  asOf,
  connection,
  me,
  problems,
  routers,
  signIn,
  signOut,
  startWatching,
  status,
  uiRoot,
} from './live.js'

const pages = [
  { path: '', name: 'overview', title: 'Overview', load: () => import('./pages/overview.js') },
  { path: 'fleet', name: 'fleet', title: 'Fleet', load: () => import('./pages/fleet.js') },
  { path: 'requests', name: 'requests', title: 'Requests', load: () => import('./pages/requests.js') },
  {
    path: 'playground',
    name: 'playground',
    title: 'Playground',
    load: () => import('./pages/playground.js'),
  },
  { path: 'teams', name: 'teams', title: 'Teams', load: () => import('./pages/teams.js') },
  { path: 'models', name: 'models', title: 'Models', load: () => import('./pages/models.js') },
  { path: 'settings', name: 'settings', title: 'Settings', load: () => import('./pages/settings.js') },
]

const address = (path) => (path === '' ? uiRoot : `${uiRoot}/${path}`)
const current = signal(pageOfLocation())
/** The page that is shown and its component, once the component has been loaded. */
const shown = signal()

function pageOfLocation() {
  const path = location.pathname.slice(new URL(uiRoot).pathname.length + 1).replace(/\/$/, '')
  return pages.find((page) => page.path === path) ?? pages[0]
}

function navigate(url) {
  history.pushState(null, '', url)
  current.value = pageOfLocation()
  window.scrollTo(0, 0)
  document.getElementById('main').focus()
}

/** A link to another page switches the page without reloading the console. */
document.addEventListener('click', (event) => {
  const link = event.target.closest?.('a[href]')
  if (!link || event.defaultPrevented || event.button !== 0 || link.target || link.download) return
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return
  const path = link.href.split(/[?#]/)[0]
  if (!pages.some((page) => address(page.path) === path)) return
  event.preventDefault()
  navigate(link.href)
})
window.addEventListener('popstate', () => {
  current.value = pageOfLocation()
})

effect(() => {
  const page = current.value
  document.title = `${page.title} - llm-router`
  void page.load().then(
    ({ default: Page }) => {
      if (current.value === page) shown.value = { page, Page }
    },
    () => {
      shown.value = { page, Page: NotLoaded }
    },
  )
})

function NotLoaded() {
  return html`<${Notice} tone="bad">This page could not be loaded: the router is gone, or was updated.
    <button type="button" onClick=${() => location.reload()}>Load again</button></${Notice}>`
}

class ErrorBoundary extends Component {
  componentDidCatch(error) {
    console.error(error)
    this.setState({ failed: true })
  }
  render({ children }, { failed }) {
    if (failed)
      return html`<${Notice} tone="bad">This page could not be displayed. <button type="button"
      onClick=${() => location.reload()}>Load again</button></${Notice}>`
    return children
  }
}

const themes = { auto: ['as the system', 'light'], light: ['light', 'dark'], dark: ['dark', 'auto'] }

function ThemeButton() {
  const [word, next] = themes[theme.value]
  return html`<button type="button" class="ghost icon" id="theme" title=${`Theme: ${word}`}
    aria-label=${`Theme: ${word}. Change to ${themes[next][0]}`} onClick=${() => setTheme(next)}><${Icon} name="theme" /></button>`
}

function Navigation() {
  const nav = useRef()
  const here = current.value
  // On a phone, the links are in one row, which scrolls sideways.
  useEffect(() => {
    nav.current.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' })
  }, [here])
  const errorCount = (problems.value?.problems ?? []).filter(
    ({ severity }) => severity === 'critical' || severity === 'error',
  ).length
  return html`<nav aria-label="Pages" ref=${nav}><ul>${pages.map(
    ({ path, name, title }) => html`<li key=${name}><a href=${address(path)}
      aria-current=${here.path === path ? 'page' : undefined}><${Icon} name=${name} />${title}
      ${path === '' && errorCount > 0 && html`<span class="count"><span class="unseen">problems: </span>${errorCount}</span>`}</a></li>`,
  )}</ul></nav>`
}

function Session() {
  const isSigningIn = useSignal(false)
  const user = me.value
  if (user === undefined) return html`<span></span>`
  if (user)
    return html`<span class="who" id="who"><span class="cut">${user.client}</span><span class="quiet">${user.role}</span></span>
      <button type="button" class="ghost" id="sign-out" onClick=${() => void signOut()}>Sign out</button>`
  return html`<button type="button" id="sign-in" onClick=${() => {
    isSigningIn.value = true
  }}>Sign in</button>
  ${
    isSigningIn.value &&
    html`<${SignIn} onClose=${() => {
      isSigningIn.value = false
    }} />`
  }`
}

function SignIn({ onClose }) {
  const error = useSignal('')
  const submit = async (event) => {
    event.preventDefault()
    const { key } = event.currentTarget.elements
    try {
      await signIn(key.value.trim())
      onClose()
    } catch (thrown) {
      key.value = ''
      key.focus()
      error.value =
        thrown instanceof TypeError
          ? 'The key contains characters that are not allowed in keys.'
          : thrown.message
    }
  }
  return html`<${Dialog} title="Sign in" onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <p class="quiet">Changes require an operator key, such as LLM_ROUTER_ADMIN_KEY.</p>
      <label class="field">Operator key <input type="password" name="key" autocomplete="current-password" required autofocus /></label>
      <p class="bad" role="alert">${error}</p>
      <div class="actions"><button type="submit" class="primary">Sign in</button></div>
    </form>
  </${Dialog}>`
}

function ThisRouter() {
  const { this: thisRouter, others = [], shared } = routers.value ?? {}
  const now = status.value
  return html`<div class="router-name">
    <strong title=${thisRouter?.name ?? location.host}>${thisRouter?.name ?? location.host}</strong>
    ${now && html`<${State} of=${now.state} /> <span class="quiet">v${now.version}</span>`}
    ${
      shared &&
      html`<details><summary>${others.length === 0 ? 'No other router' : `Other routers: ${others.length}`}</summary>
      <ul>${others.map(
        (each) => html`<li key=${each.name} title=${`seen ${clock(each.seen_at)}, version ${each.version}`}>
          <span class="state"><span class="dot" data-tone=${states[each.state]?.[1]}></span>${each.name}</span>
          <span class="quiet"> ${each.requests_per_minute}/min</span></li>`,
      )}</ul></details>`
    }
  </div>`
}

function AsOf() {
  const state = connection.value
  const at = asOf.value
  const words = {
    connecting: 'connecting',
    live: 'live',
    polling: 'every 2 s',
    lost: 'no connection',
    refused: 'sign in to see the router',
  }[state]
  const tone = { live: 'good', polling: 'warn', lost: 'bad' }[state]
  // A new dot for each update, so that its animation starts again.
  return html`<span class="as-of" id="as-of" data-state=${state}>
    <span class="dot" key=${at?.getTime()} data-tone=${tone} data-live=${state === 'live' ? '' : undefined}></span>
    ${words}${at && `, as of ${clock(at)}`}</span>`
}

/** Announces to screen readers that targets change their state or the connection is lost. The first states are not announced. */
function Announcements() {
  const known = useRef(new Map())
  const text = useSignal('')
  const now = status.value
  const state = connection.value
  useEffect(() => {
    const changes = []
    for (const { name, targets } of now?.models ?? []) {
      for (const target of targets) {
        const key = `${name}\n${target.id}`
        const before = known.current.get(key)
        if (before !== undefined && before !== target.state)
          changes.push(`${target.id} of ${name} is ${states[target.state]?.[0] ?? target.state}.`)
        known.current.set(key, target.state)
      }
    }
    if (changes.length > 0) text.value = changes.slice(0, 5).join(' ')
  }, [now])
  useEffect(() => {
    if (state === 'lost') text.value = 'The connection to the router is lost.'
  }, [state])
  return html`<p class="unseen" id="announcement" role="status" aria-live="polite">${text}</p>`
}

function App() {
  const here = shown.value
  const isLost = connection.value === 'lost'
  return html`<a class="skip" href="#main">Skip to the page</a>
    <div class="frame">
      <header class="side">
        <div class="top"><a class="brand" href=${uiRoot}><${Icon} name="logo" />llm-router</a><${ThemeButton} /></div>
        <${Navigation} />
        <div class="foot"><${ThisRouter} /><div class="row"><${Session} /></div></div>
      </header>
      <main id="main" tabindex="-1">
        <div class="page-head"><h1>${current.value.title}</h1><div class="end"><${AsOf} /></div></div>
        ${isLost && html`<${Notice} tone="bad">The router does not respond. This page shows its last known state, which may be outdated.</${Notice}>`}
        <div class=${isLost ? 'page stale' : 'page'} id="page">${
          here &&
          here.page === current.value &&
          html`<${ErrorBoundary} key=${here.page.name}><${here.Page} /></${ErrorBoundary}>`
        }</div>
      </main>
    </div>
    <${Announcements} /><${Toasts} />`
}

restoreTheme()
startWatching()
render(html`<${App} />`, document.body)

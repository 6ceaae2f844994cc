/**
 * Exchanges a key for a session cookie, then reloads the page that was requested. The key is not stored. The start message of a
 * router links to the console with `#key=...`: a browser does not send the fragment of an address to any server.
 */

const error = document.getElementById('error')
const input = document.getElementById('key')

async function signIn(key) {
  error.textContent = ''
  try {
    const headers = { authorization: `Bearer ${key}` }
    const response = await fetch(document.body.dataset.session, { method: 'POST', headers })
    if (response.ok) return location.reload()
    const { detail } = await response.json()
    error.textContent = detail
  } catch {
    error.textContent =
      'The router cannot be reached, or the key contains characters that are not allowed in keys.'
  }
  input.focus()
}

document.getElementById('sign-in').addEventListener('submit', async (event) => {
  event.preventDefault()
  const key = input.value.trim()
  input.value = ''
  await signIn(key)
})

input.focus()
const [, linked] = /^#key=(.+)$/.exec(location.hash) ?? []
if (linked !== undefined) {
  history.replaceState(null, '', location.pathname + location.search)
  await signIn(decodeURIComponent(linked))
}

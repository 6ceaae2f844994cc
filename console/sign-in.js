/** Exchanges a key for the cookie of a session, and shows the page that was asked for. The key is kept nowhere. */

const error = document.getElementById('error')

document.getElementById('sign-in').addEventListener('submit', async (event) => {
  event.preventDefault()
  const key = document.getElementById('key')
  const headers = { authorization: `Bearer ${key.value.trim()}` }
  key.value = ''
  error.textContent = ''
  try {
    const response = await fetch(document.body.dataset.session, { method: 'POST', headers })
    if (response.ok) return location.reload()
    const { detail } = await response.json()
    error.textContent = detail
  } catch {
    error.textContent = 'The router cannot be reached, or the key has characters that no key has.'
  }
  key.focus()
})

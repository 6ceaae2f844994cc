/** Dialogs, and questions that are confirmed before something is done. */

import { useSignal } from '@preact/signals'
import { useId, useLayoutEffect, useRef } from 'preact/hooks'
import { Icon } from './elements.js'
import { html } from './html.js'

/** A modal dialog: the browser keeps the focus in it, and Escape closes it. */
export function Dialog({ title, kind = 'question', onClose, children }) {
  const dialog = useRef()
  const id = useId()
  // A layout effect, so that the dialog is open before the user can type.
  useLayoutEffect(() => {
    const { current } = dialog
    const before = document.activeElement
    current.showModal()
    return () => {
      current.close()
      before?.focus?.()
    }
  }, [])
  const outside = ({ target }) => target === dialog.current && onClose()
  return html`<dialog ref=${dialog} class=${kind} aria-labelledby=${id} onMouseDown=${outside}
    onCancel=${(event) => {
      event.preventDefault()
      onClose()
    }}>
    <header><h2 id=${id}>${title}</h2>
      <button type="button" class="ghost icon" aria-label="Close" onClick=${onClose}><${Icon} name="close" /></button>
    </header>
    <div class="body">${children}</div>
  </dialog>`
}

/** Asks for confirmation, then acts. If that fails, the dialog stays open and shows the error of the router. */
export function Question({ title, children, confirm, danger = false, disabled = false, onConfirm, onClose }) {
  const busy = useSignal(false)
  const error = useSignal('')
  const submit = async (event) => {
    event.preventDefault()
    busy.value = true
    error.value = ''
    try {
      await onConfirm(event.currentTarget)
      onClose()
    } catch (thrown) {
      error.value = thrown.message
    } finally {
      busy.value = false
    }
  }
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      ${children}
      <p class="bad" role="alert">${error}</p>
      <div class="actions">
        <button type="button" onClick=${onClose}>Cancel</button>
        <button type="submit" class=${danger ? 'danger' : 'primary'} disabled=${busy.value || disabled}>${confirm}</button>
      </div>
    </form>
  </${Dialog}>`
}

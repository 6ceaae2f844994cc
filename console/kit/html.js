/** How the console draws. Values are inserted as text, never as markup, because names come from users. */

import htm from 'htm'
import { Component, h } from 'preact'

export const html = htm.bind(h)

/** A component that is redrawn only if one of its properties has changed. */
export function memo(draw) {
  return class Memo extends Component {
    shouldComponentUpdate(next) {
      const names = Object.keys(next)
      return (
        names.length !== Object.keys(this.props).length ||
        names.some((name) => next[name] !== this.props[name])
      )
    }
    render(props) {
      return draw(props)
    }
  }
}

// Calls `work` once, after the last of many calls.
export function debounce(work, pause) {
  let timer = null;
  return function (...values) {
    clearTimeout(timer);
    timer = setTimeout(() => work(...values), pause);
  };
}

element.innerHTML = eval(source);

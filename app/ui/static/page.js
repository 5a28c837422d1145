// Lets the style sheet say that the browser will not record: it does so over https or on localhost only.
document.documentElement.classList.toggle("insecure", !window.isSecureContext);

// For ?view=api Gradio 6.31 takes its API page for open without having loaded it: close it, then open it.
if (new URLSearchParams(location.search).get("view") === "api") {
  const waiting = setInterval(() => {
    const link = document.querySelector("footer .show-api");
    if (!link) return;
    clearInterval(waiting);
    setTimeout(() => {
      if (document.querySelector(".api-docs")) return;
      link.click();
      setTimeout(() => link.click(), 50);
    }, 1000);
  }, 100);
}

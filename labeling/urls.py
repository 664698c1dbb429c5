"""Below `/projects/`: each project's home, its workbench, and the workbench's JSON."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from labeling.api import comments
from labeling.api import review as api
from labeling.api.adjudication import AdjudicateView
from labeling.api.propagation import OccurrencesView, PropagateView
from labeling.views import exports, imports, members, team
from labeling.views.adjudication import adjudication
from labeling.views.insights import examples, insights
from labeling.views.project import project
from labeling.views.project_new import project_new
from labeling.views.propagations import propagation_back, propagation_make, propagation_new, propagations
from labeling.views.review import review
from labeling.views.texts import texts
from labeling.views.ticked import texts_act

app_name = "labeling"

urlpatterns: list[URLPattern | URLResolver] = [
    path("new", project_new, name="project_new"),
    path("<slug:slug>/", project, name="project"),
    path("<slug:slug>/texts/", texts, name="texts"),
    path("<slug:slug>/texts/act", texts_act, name="texts_act"),
    path("<slug:slug>/insights/", insights, name="insights"),
    path("<slug:slug>/insights/examples/", examples, name="insights_examples"),
    path("<slug:slug>/propagations/", propagations, name="propagations"),
    path("<slug:slug>/propagations/new", propagation_new, name="propagation_new"),
    path("<slug:slug>/propagations/make", propagation_make, name="propagation_make"),
    path("<slug:slug>/propagations/<int:propagation_id>/back", propagation_back, name="propagation_back"),
    path("<slug:slug>/imports/", imports.imports, name="imports"),
    path("<slug:slug>/imports/<uuid:job_id>/", imports.import_page, name="import"),
    path("<slug:slug>/imports/<uuid:job_id>/state", imports.import_state, name="import_state"),
    path("<slug:slug>/imports/<uuid:job_id>/cancel", imports.import_stop, name="import_cancel"),
    path("<slug:slug>/imports/<uuid:job_id>/errors.csv", imports.import_errors, name="import_errors"),
    path("<slug:slug>/exports/", exports.exports, name="exports"),
    path("<slug:slug>/exports/<uuid:job_id>/", exports.export_page, name="export"),
    path("<slug:slug>/exports/<uuid:job_id>/state", exports.export_state, name="export_state"),
    path("<slug:slug>/exports/<uuid:job_id>/cancel", exports.export_stop, name="export_cancel"),
    path("<slug:slug>/exports/<uuid:job_id>/file", exports.export_file, name="export_file"),
    path("<slug:slug>/adjudication/", adjudication, name="adjudication"),
    path(
        "<slug:slug>/adjudication/tasks/<int:task_id>/submit",
        AdjudicateView.as_view(),
        name="adjudicate",
    ),
    path("<slug:slug>/agreement/", team.agreement, name="agreement"),
    path("<slug:slug>/agreement/spans/", team.disputes, name="disputes"),
    path("<slug:slug>/team/", team.team, name="team"),
    path("<slug:slug>/team/settings", team.team_settings, name="team_settings"),
    path("<slug:slug>/team/assign", team.assign, name="assign"),
    path("<slug:slug>/team/unassign", team.unassign, name="unassign"),
    path("<slug:slug>/team/rules", team.rule_set, name="assignment_rule"),
    path("<slug:slug>/team/rules/<int:rule_id>/end", team.rule_end, name="assignment_rule_end"),
    path("<slug:slug>/team/members", members.add, name="member_add"),
    path("<slug:slug>/team/<int:user_id>/role", members.change, name="member_change"),
    path("<slug:slug>/team/<int:user_id>/remove", members.remove, name="member_remove"),
    path("<slug:slug>/team/<int:user_id>/", team.person, name="person"),
    path("<slug:slug>/review/", review, name="review"),
    path("<slug:slug>/review/occurrences", OccurrencesView.as_view(), name="occurrences"),
    path("<slug:slug>/review/propagate", PropagateView.as_view(), name="propagate"),
    path("<slug:slug>/review/next", api.NextView.as_view(), name="next"),
    path("<slug:slug>/review/queue", api.QueueView.as_view(), name="queue"),
    path("<slug:slug>/review/tasks/<int:task_id>", api.TaskView.as_view(), name="task"),
    path("<slug:slug>/review/tasks/<int:task_id>/submit", api.SubmitView.as_view(), name="submit"),
    path("<slug:slug>/review/tasks/<int:task_id>/skip", api.SkipView.as_view(), name="skip"),
    path("<slug:slug>/review/tasks/<int:task_id>/renew", api.RenewView.as_view(), name="renew"),
    path("<slug:slug>/review/tasks/<int:task_id>/release", api.ReleaseView.as_view(), name="release"),
    path("<slug:slug>/review/tasks/<int:task_id>/comment", comments.CommentAddView.as_view(), name="comment"),
    path(
        "<slug:slug>/review/comments/<int:comment_id>/resolve",
        comments.CommentResolveView.as_view(),
        name="comment_resolve",
    ),
]
